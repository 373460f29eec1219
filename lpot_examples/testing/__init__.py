"""Tools that tests of backends and strategies share: fakes, simulations, conformance, fuzzing."""
