"""Devices, buffers, compile-and-call, caches, the native call path."""
