"""One package per framework; each has the same file names, and a missing file is a missing ability."""
