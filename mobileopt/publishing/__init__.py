"""The site's data from the store: what asv's publish computes, fast, and only what changed.

`commits` and `graphs` hold what is published, `detection` finds its change points, `asv_files`
writes what asv's own pages read, and `outputs` links what did not change from the last site.
"""
