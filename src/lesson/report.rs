//! x
use std::path::{Path, PathBuf};
use super::console::Console;
use super::{Desk, LessonFailure};
use super::progress::Progress;
use crate::cli::lesson::Format;
pub(crate) fn report(_: &Desk<'_>, _: &Progress, _: Format, _: Option<&Path>, _: &mut Console<'_>) -> Result<(), LessonFailure> { Ok(()) }
pub(crate) fn grade(_: &Desk<'_>, _: &[PathBuf], _: &mut Console<'_>) -> Result<(), LessonFailure> { Ok(()) }
