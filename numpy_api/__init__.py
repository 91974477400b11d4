"""NumPy's functions on traced arrays. Importing this package fills the tables in
`autodiff.dispatch`, one file a chapter of NumPy's reference."""
