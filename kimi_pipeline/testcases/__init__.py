"""Test cases for coding problems [2.3.5]: from a statement and its submissions to a validated suite and its strength.

The map, from the stages down:

    collecting     stage coding_problems: built-in problems, folders of yours, rows of the corpus; refusals before any run
    generators     stage test_case_generators: where a problem's generator comes from
    cases          stage test_cases: generators run, inputs checked
    checkers       stage output_checkers: where the checker of a problem with several right outputs comes from
    suites         stage validated_test_suites: submissions run, the 7/10 and 9/10 rules
    power          stage suite_strength: held-out, wrong and mutated programs against the suites
    writing        programs that a model writes: prompt, parser, rows; writing_job is the job around an engine
    forms          the two forms of them: generators, checkers
    constructed    suites of built-in families, whose right outputs are known
    joining        what becomes of the corpus' coding problems; which of them a prompt set may hold
    execution      runs of programs on inputs, committed as they come, none repeated
    checking       runs whose outputs a checker judges
    generating     a generator's inputs, drawn inside the sandbox
    rules          agreement, validity, and what becomes of a problem: pure
    special_judge  does the statement allow several right outputs?
    mutants, subset: small wrong changes to right programs; the fewest cases with the same power

What a coding problem is: `corpora/coding_problem.py`; `corpora/coding_library.py` reads folders of them (`builtin/`).
Nothing here runs a program, a generator or a checker outside the sandbox. The reward that uses a suite is `rewards/code.py`.
"""
