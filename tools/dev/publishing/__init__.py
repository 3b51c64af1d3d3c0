"""The pages of docs/ that are made from figures.toml and the configs."""
