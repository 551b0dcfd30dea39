"""Everything that touches MTEB beyond its public interface: the hook, registration, encoding, results."""
