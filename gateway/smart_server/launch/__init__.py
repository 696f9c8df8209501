"""EHR launches: the neutral launch API, its redirect, and the launch APIs of Medplum and Aidbox."""
