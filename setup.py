"""For tools that still run this file; everything else is said in setup.cfg."""

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithoutSetup(build_py):
    """The root is the package `xnp`, so this file would be installed as ``xnp.setup``."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if module[1] != "setup"]


setup(cmdclass={"build_py": BuildWithoutSetup})
