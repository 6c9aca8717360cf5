"""``stateguard demo``: the main job on the example."""
