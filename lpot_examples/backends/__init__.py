"""One package per framework, with the same file names; a missing file is a missing ability."""
