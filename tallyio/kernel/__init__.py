"""The machine: topology, profiles, placement, lanes, rings, supervision. Uses native."""
