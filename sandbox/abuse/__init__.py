"""The abuse suite: programs that try to get out, to take more than they may, or to leave something behind.

    suite       runs the cases on a sandbox and says of each whether it was contained, and how that is known
    case        what a case is, and the ways to judge one
    resources, network, reach, processes, remains, compilers: the cases
    host        what is planted on the host before, and looked for after

A case is contained when there is evidence for it: the program says what it tried and what it was told, the host says
what reached it. A program that merely falls silent proves nothing, and counts as not contained.
"""
