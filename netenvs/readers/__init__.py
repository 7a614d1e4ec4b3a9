"""How files of users are read: what every task's readers have in common.

A task has one table of :class:`~netenvs.readers.reader.Reader` records, a format each, and calls
:func:`~netenvs.readers.reader.read_input` with it. That lists the files of a path (:mod:`~netenvs.readers.sources`: a
file, a folder, a zip or tar archive), unpacks them (:mod:`~netenvs.readers.codecs`), recognises the format of each,
has it read, and reports what was left out (:mod:`~netenvs.readers.reading`). Delimited text of whatever separator is
read by :mod:`~netenvs.readers.table`, units and clocks by :mod:`~netenvs.readers.units`.
"""
