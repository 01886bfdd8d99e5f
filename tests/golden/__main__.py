"""Write the golden documents anew."""

from tests.golden.documents import FOLDER, documents

if __name__ == "__main__":
    for name, text in documents().items():
        (FOLDER / name).write_bytes(text)
