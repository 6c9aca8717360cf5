from transition.conftest import copies, setting, template

__all__ = ["copies", "setting", "template"]
