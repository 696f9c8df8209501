"""The servers that tests and `make run` start: real FHIR servers with synthetic patients, and a hostile one."""
