"""The next useful thing to say about an exercise, from what was wrong in earlier tries."""

from contextlib import suppress

from course_lib.exercises.judge import UNNAMED
from course_lib.exercises.record import record_hints, whole_record
from course_lib.exercises.registry import get


def hint(exercise_id: str) -> None:
    """Print what to look at next; it remembers what `check` said of your earlier tries.

    Each new mistake gets its own sentence first. The same one again, or one that the check cannot name,
    leads to the next of the exercise's hints, and after the last of them to the solution under the check.

    Raises:
        ValueError: for an exercise that does not exist.
    """
    exercise = get(exercise_id)
    record = whole_record()
    if exercise.id in record.solved:
        print(f"{exercise.title} is solved.")
        return
    given = record.hints.get(exercise.id, 0)
    lines, now_given = advice(exercise.hints, record.tries.get(exercise.id, []), given)
    print("\n".join(lines))
    if now_given != given:
        with suppress(OSError):  # then the same hint comes again
            record_hints(exercise.id, now_given)


def advice(hints: tuple[str, ...], tries: list[str], given: int = 0) -> tuple[list[str], int]:
    """What `hint` says next.

    Args:
        hints: the exercise's own.
        tries: what the check said of each wrong answer, the oldest first.
        given: how many of the hints were given before.

    Returns:
        The lines, and how many of the hints have been given now.
    """
    if not tries:
        first = f"A first hint: {hints[0]}"
        return [
            "You have not tried an answer yet. Write one, however rough, and run the check.",
            first,
        ], max(given, 1)
    last, times = tries[-1], tries.count(tries[-1])
    lines = [f"Your last try: {last}"]
    named = [said for said in dict.fromkeys(tries) if said != last and UNNAMED not in said]
    if named:
        count = len(named)
        lines.append(
            f"Mended since: {named[-1]}" + (f" And {count - 1} before that." if count > 1 else "")
        )
    if UNNAMED in last:
        lines.append(
            "The check has no name for this mistake. Work out that case by hand, and compare."
        )
    elif times == 1:
        return [*lines, "This is new. Change only what it names, and check again."], given
    again = f"You have met it {times} times. " if times > 1 else ""
    if given < len(hints):
        return [*lines, f"{again}Hint {given + 1} of {len(hints)}: {hints[given]}"], given + 1
    return [
        *lines,
        f"{again}You have seen all hints. Read the solution under the check, close it, and write it from "
        "memory.",
    ], given
