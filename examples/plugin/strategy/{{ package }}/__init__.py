"""Price gaps between two pools of the same two tokens."""
