"""Search strategies with one interface: `strategy(problem, settings, rng) -> SearchResult` (see `problem`)."""
