"""The doctor's remedies as a shell script, to be read and run by whoever owns the machine.

Layer: kernel. Nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tallyio.kernel.doctor import Finding

_HEAD = """\
#!/bin/sh
# What `tallyio doctor --script` advises for {machine}, profile {profile}.
# Read it, take out what you do not want, and run it as root. It lasts until the next boot, but for
# the kernel parameters at the end. Nothing has been changed so far.
set -eu
"""

_BOOT = """
# Kernel parameters: they take effect at the next boot. With GRUB, add them to GRUB_CMDLINE_LINUX in
# /etc/default/grub, run update-grub, and start the machine anew.
echo 'kernel parameters to add:'
echo '{parameters}'
"""


def script(findings: Iterable[Finding], *, machine: str, profile: str) -> str:
    """Return a POSIX shell script with the commands of all findings that could cost something."""
    costly = [finding for finding in findings if finding.grade == "could_cost"]
    parameters = [parameter for finding in costly for parameter in finding.boot]
    parts = [_HEAD.format(machine=_one_line(machine), profile=_one_line(profile))]
    parts += [part for finding in costly for part in _commands(finding)]
    if parameters:
        parts.append(_BOOT.format(parameters=" ".join(parameters)))
    by_hand = [finding for finding in costly if not finding.commands and not finding.boot]
    if by_hand:
        parts.append("\n# No command mends these:\n")
        parts += [f"#   {finding.name}: {_one_line(finding.remedy)}\n" for finding in by_hand]
    if not costly:
        parts.append("\n# Nothing to do.\n")
    return "".join(parts)


def _commands(finding: Finding) -> Iterator[str]:
    if finding.commands:
        yield f"\n# {finding.name}: {_one_line(finding.what)}\n#   {_one_line(finding.why)}\n"
        yield from (f"{command}\n" for command in finding.commands)


def _one_line(text: str) -> str:
    # A line break from a file would end the comment that it stands in.
    return " ".join(text.split())
