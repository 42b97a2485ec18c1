"""Ways to choose a structure and bits for each part of a network, one a file, behind `Chooser`."""
