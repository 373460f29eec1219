"""Downloads and archives: files that are what they should be, and safe unpacking."""
