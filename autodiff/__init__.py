"""Values, tape, primitives and their rules, transformations; knows no device, no compiler."""
