"""A column's ladder from exact value to ``*``: the kinds of hierarchy, their files and presets."""
