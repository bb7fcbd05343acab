"""nmap, as far as it is pure: what it is asked (`options`), what it answers (`report`), and what that says of software.

`options.read(document)` checks a scan's options and `options.arguments(...)` renders them as nmap's arguments;
`report.read(file)` reads an XML report, `report.Reader` one that is still being written; `components.components(host)`
gives the software of one host as matching takes it.
"""
