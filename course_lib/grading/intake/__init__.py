"""What came in: files in folders and zips, and whose submission each of them is."""
