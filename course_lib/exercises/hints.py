"""The next useful thing to say about an exercise, from what was wrong in earlier tries."""

from course_lib.exercises.record import whole_record
from course_lib.exercises.registry import get


def hint(exercise_id: str) -> None:
    """Print what to look at next; it remembers what `check` said of your earlier tries.

    Each new mistake gets its own sentence first. The same one again leads to the next of the exercise's
    hints, and after the last of them to the solution, which the check holds.

    Raises:
        ValueError: for an exercise that does not exist.
    """
    exercise = get(exercise_id)
    record = whole_record()
    if exercise.id in record.solved:
        print(f"{exercise.title} is solved.")
        return
    print("\n".join(advice(exercise.hints, record.tries.get(exercise.id, []))))


def advice(hints: tuple[str, ...], tries: list[str]) -> list[str]:
    """The lines of `hint` for an exercise with these hints, after tries of which the check said this."""
    if not tries:
        return [
            "You have not tried an answer yet. Write one, however rough, and run the check.",
            f"A first hint: {hints[0]}",
        ]
    last, others = tries[-1], set(tries[:-1])
    lines = [f"Your last try: {last}"]
    if over := [said for said in dict.fromkeys(tries) if said != last and said in others]:
        count = len(over)
        lines.append(
            f"Mended since: {over[-1]}" + (f" And {count - 1} before that." if count > 1 else "")
        )
    again = tries.count(last)
    if again == 1:
        return [*lines, "This is new. Change only what it names, and check again."]
    if again - 2 < len(hints):
        return [*lines, f"You have met it {again} times. A hint: {hints[again - 2]}"]
    return [
        *lines,
        f"You have met it {again} times and have seen all hints. Read the solution under the check, close "
        "it, and write it from memory.",
    ]
