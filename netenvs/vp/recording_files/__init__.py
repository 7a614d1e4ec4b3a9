"""Head-motion recordings of users' own and of published data sets, whatever format they come in.

:data:`~netenvs.vp.recording_files.formats.READERS` has the formats. Most are tables of text: which column is what is
found by its name (:mod:`~netenvs.vp.recording_files.columns`) or, without a header, by what stands in it
(:mod:`~netenvs.vp.recording_files.bare`); rows become times (:mod:`~netenvs.vp.recording_files.clock`) and heads
(:mod:`~netenvs.vp.recording_files.heads`), which are sampled at 5 Hz (:mod:`~netenvs.vp.recording_files.sampling`).
Who watched what is said by the path (:mod:`~netenvs.vp.recording_files.naming`), and who is in which split by
``splits.json`` (:mod:`~netenvs.vp.recording_files.splits`).
"""
