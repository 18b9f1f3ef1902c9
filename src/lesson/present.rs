//! x
use super::console::Console;
use super::load::Lesson;
use super::{Desk, LessonFailure};
pub(crate) fn present(_: &Desk<'_>, _: &Lesson, _: &mut Console<'_>) -> Result<(), LessonFailure> {
    Ok(())
}
pub(crate) fn notes(
    _: &Desk<'_>,
    _: &Lesson,
    _: bool,
    _: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    Ok(())
}
