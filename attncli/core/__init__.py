"""The mathematics: no files, no terminal, no NumPy; arrays come with their namespace `xp`."""
