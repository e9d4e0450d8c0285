"""Rules that decide a claim from the numbers of a run, one file each; the folder is the registry."""
