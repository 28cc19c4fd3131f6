"""What a maintainer runs to make a release; docs/release.md says in which order."""
