"""The directive `screen`: pictures that the tools make of themselves while the pages are built.

    ```{screen}
    $ tallyio topology --profile laptop
    ```

The command runs in a folder that the screens of its page share, one after the other. What it prints becomes a
picture; of a command that draws a file (`--svg NAME`) that file is the picture. Options:

    :progress:     show as well what goes to standard error while it runs; in black and white, because on
                   a terminal that is a live screen
    :lab: lending  run beside a practice chain of that kind after some blocks; `tallyio.toml` in the folder
                   is its configuration
    :node:         the command starts a node, or needs what one left behind

`-D screens_on_a_node=0` leaves those that need a node as text, for a build within seconds.
What differs from run to run, such as a port or a time, becomes "…". Nothing is kept in the repository.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from functools import partial
from html import escape
from pathlib import Path
from string import Template
from typing import ClassVar, Final, cast

import trio
from docutils import nodes
from docutils.parsers.rst import directives
from rich.console import CONSOLE_SVG_FORMAT, Console  # type: ignore[attr-defined]  # where rich documents it
from rich.text import Text
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

COLUMNS: Final = 100
LAB_BLOCKS: Final = 6
_PROMPT: Final = "$ "
_FONTS: Final = re.compile(r"@font-face \{\{.*?\}\}", re.DOTALL)
TEMPLATE: Final = _FONTS.sub("", CONSOLE_SVG_FORMAT)
"""The terminal that rich draws, without fonts from the network."""
_UNSTEADY: Final = (
    (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "…"),
    (re.compile(r"(?<=machine: this system; ).*"), "…"),
    (re.compile(r"(?<=signed p50 )[\d.]+"), "…"),
    (re.compile(r"^block \d+(/\d+)?: \d+ found.*\n", re.MULTILINE), ""),
)
"""What differs between two runs, and what stands in its place."""


class ScreenError(Exception):
    """A command of a page failed."""


def steady(printed: str) -> str:
    """Return output without what differs from run to run."""
    for pattern, instead in _UNSTEADY:
        printed = pattern.sub(instead, printed)
    return printed


def terminal(command: str, printed: str) -> str:
    """Return an SVG of a terminal in which `command` printed this."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), force_terminal=True)
    console.print(Text(_PROMPT, "bold green"), Text(command, "bold"), sep="")
    console.print(Text.from_ansi(printed.rstrip()))
    return console.export_svg(title="tallyio", code_format=TEMPLATE)


def run(command: str, folder: Path, *, progress: bool) -> str:
    """Run a command of ours in `folder`; return what it prints. Raises: ScreenError: it failed."""
    words = shlex.split(command)
    ended = subprocess.run(
        [str(Path(sys.executable).with_name(words[0])), *words[1:]],
        cwd=folder,
        env={**os.environ, "COLUMNS": str(COLUMNS), "FORCE_COLOR": "" if progress else "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if progress else subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise ScreenError(f"`{command}` ended with {ended.returncode}: {ended.stdout}{ended.stderr or ''}")
    return ended.stdout


async def beside_lab(kind: str, command: str, folder: Path, *, progress: bool) -> str:
    """Do the same beside a practice chain, whose configuration is put into `folder`."""
    from tallyio.kernel.resources import data_path  # noqa: PLC0415 - only this screen needs a lab
    from tallyio.lab.lab import WorldKind, open_lab  # noqa: PLC0415 - the same

    async with open_lab(seed=7, kind=cast("WorldKind", kind)) as lab:
        for _ in range(LAB_BLOCKS):
            await lab.step()
        text = (data_path("examples") / "demo" / f"{kind}.toml").read_text(encoding="utf-8")
        facts = {**lab.world.variables, "keys": str(folder), "data_dir": str(folder)}
        config = Template(text).substitute(facts, executor="", account="")
        await trio.Path(folder / "tallyio.toml").write_text(config, encoding="utf-8")
        return await trio.to_thread.run_sync(partial(run, command, folder, progress=progress))


class Screen(SphinxDirective):
    """The picture of one command."""

    has_content = True
    option_spec: ClassVar = {
        "progress": directives.flag,
        "node": directives.flag,
        "lab": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """Run the command now, and with every build: a picture is never older than the tool."""
        (line,) = self.content
        command = line.removeprefix(_PROMPT)
        if self.options.keys() & {"node", "lab"} and not self.config.screens_on_a_node:
            return [nodes.literal_block(line, line)]
        self.env.note_reread()
        try:
            drawn = self._draw(command)
        except ScreenError as error:
            raise self.error(str(error)) from error
        return [nodes.raw("", self._image(command, drawn), format="html")]

    def _draw(self, command: str) -> str:
        folder = self._folder()
        progress = "progress" in self.options
        if lab := self.options.get("lab"):
            printed = trio.run(partial(beside_lab, lab, command, folder, progress=progress))
        else:
            printed = run(command, folder, progress=progress)
        words = shlex.split(command)
        if "--svg" in words:
            return (folder / words[words.index("--svg") + 1]).read_text(encoding="utf-8")
        return terminal(command, steady(printed))

    def _folder(self) -> Path:
        """Return where the commands of this page run; it goes when the page is read."""
        held = self.env.temp_data  # of this page
        if "screens" not in held:
            held["screens"] = tempfile.TemporaryDirectory(prefix="tallyio-screens-")
        return Path(held["screens"].name)

    def _image(self, command: str, drawn: str) -> str:
        """Write the picture beside the page and return what shows it."""
        page = Path(self.env.app.outdir, self.env.docname)
        page.mkdir(parents=True, exist_ok=True)
        name = f"{self.lineno}.svg"
        (page / name).write_text(drawn, encoding="utf-8")
        return f'<p><img src="{page.name}/{name}" alt="{escape(command)}" style="width: 100%"></p>'


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("screen", Screen)
    app.add_config_value("screens_on_a_node", default=True, rebuild="env", types=bool)
    return {"parallel_read_safe": True}
