"""For those who write plugins: a package to start from, its updates, and a check before it ships."""
