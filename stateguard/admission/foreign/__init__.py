"""Files of other tools in a tree: recognised by name and shape, held to their published formats, counted."""
