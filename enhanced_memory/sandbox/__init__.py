"""The cell for other people's code: language layer, confined worker, zygote, supervisor. Knows no store."""
