"""Rules that decide a claim from the numbers of a run, a file a family of rules; the folder is the registry."""
