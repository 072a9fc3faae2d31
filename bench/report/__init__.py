"""The readable report of a results folder: table.md and plots, made from its JSON files. bench/run.sh starts it."""
