"""Learning management systems, one module each: how its download is recognised, and what it takes
back. A new one is a module with a `LAYOUT`, and its name in the list here."""

from course_lib.grading.lms import canvas, gradescope, moodle, nbgrader, sakai

LAYOUTS = {
    layout.name: layout
    for layout in (
        nbgrader.LAYOUT,
        gradescope.LAYOUT,
        moodle.LAYOUT,
        canvas.LAYOUT,
        sakai.LAYOUT,
    )
}
