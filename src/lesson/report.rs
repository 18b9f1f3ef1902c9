//! x
use super::console::Console;
use super::progress::Progress;
use super::{Desk, LessonFailure};
use crate::cli::lesson::Format;
use std::path::{Path, PathBuf};
pub(crate) fn report(
    _: &Desk<'_>,
    _: &Progress,
    _: Format,
    _: Option<&Path>,
    _: &mut Console<'_>,
) -> Result<(), LessonFailure> {
    Ok(())
}
pub(crate) fn grade(_: &Desk<'_>, _: &[PathBuf], _: &mut Console<'_>) -> Result<(), LessonFailure> {
    Ok(())
}
