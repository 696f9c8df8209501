"""Bulk exports: the kick-off, the job, its manifest and its files, every link of which is sealed for one grant."""
