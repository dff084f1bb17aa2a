//! One image to corrupt, and the working memory to do it in.

use std::any::Any;
use std::rc::Rc;

use crate::corruptions::weather::spatter::Relief;
use crate::{Error, ParameterSet, Severity, Stack, Textures};

/// One image to corrupt.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    /// Name of the corruption or of the sequence.
    pub name: &'static str,
    /// `width * height * 3` bytes.
    pub pixels: &'a [u8],
    pub width: usize,
    pub height: usize,
    pub severity: Severity,
    pub set: ParameterSet,
    pub stack: Stack,
    pub textures: &'a Textures,
}

impl Job<'_> {
    /// This job's row of a parameter table: one line a set, one column a severity.
    pub fn pick<T: Copy>(&self, table: &[[T; 5]; 3]) -> T {
        table[self.set.index()][self.severity.index()]
    }

    /// Width times height.
    pub fn area(&self) -> usize {
        self.width * self.height
    }

    /// Each pixel of `out`, `width * height * 3` bytes, beside the image's own.
    pub fn onto<'b>(&self, out: &'b mut [u8]) -> impl Iterator<Item = (&'b mut [u8; 3], &[u8; 3])> {
        let pixels = self.pixels.as_chunks::<3>().0;
        out.as_chunks_mut::<3>().0.iter_mut().zip(pixels)
    }

    pub fn refuse(&self, why: impl Into<String>) -> Error {
        Error::Unsupported {
            corruption: self.name,
            width: self.width,
            height: self.height,
            why: why.into(),
        }
    }
}

/// Working memory of one thread, reused from image to image. Contents are stale: whoever
/// takes a slice writes all of it before reading.
#[derive(Default)]
pub(crate) struct Scratch {
    pub doubles: Pool<f64>,
    pub singles: Pool<f32>,
    pub bytes: Pool<u8>,
    pub words: Pool<i32>,
    pub counts: Pool<u32>,
    pub shorts: Pool<u16>,
    pub flags: Pool<bool>,
    /// For the edges of water.
    pub relief: Relief,
    /// For the kernels themselves, so that a corruption can hold slices of the others.
    pub kernel: Pool<f64>,
    plan: Option<(Cell, Rc<dyn Any>)>,
}

/// What a plan depends on: corruption, size, severity, parameter set, stack.
type Cell = (&'static str, usize, usize, Severity, ParameterSet, Stack);

impl Scratch {
    /// What is the same for every image of one corruption, severity and size: kernels, maps,
    /// tables. Computed for the first image, kept until a plan for something else is needed.
    pub fn plan<T: 'static>(&mut self, job: &Job<'_>, make: impl FnOnce() -> T) -> Rc<T> {
        let cell = (job.name, job.width, job.height, job.severity, job.set, job.stack);
        if let Some((of, plan)) = &self.plan
            && *of == cell
            && let Ok(plan) = Rc::clone(plan).downcast()
        {
            return plan;
        }
        let plan = Rc::new(make());
        self.plan = Some((cell, Rc::<T>::clone(&plan)));
        plan
    }
}

/// A buffer handed out in pieces.
#[derive(Default)]
pub(crate) struct Pool<T>(Vec<T>);

impl<T: Copy + Default> Pool<T> {
    /// Disjoint slices of these lengths, each at the beginning of a line of the processor's cache: a wide register that
    /// is loaded from two lines takes twice as long.
    pub fn take<const K: usize>(&mut self, lengths: [usize; K]) -> [&mut [T]; K] {
        const LINE: usize = 64;
        let unit = LINE / size_of::<T>();
        let total: usize = lengths.iter().map(|length| length.next_multiple_of(unit)).sum();
        if self.0.len() < total + unit {
            self.0.resize(total + unit, T::default());
        }
        let skipped = self.0.as_ptr().align_offset(LINE).min(unit);
        let mut rest = &mut self.0[skipped..];
        lengths.map(|length| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(length.next_multiple_of(unit));
            rest = tail;
            &mut head[..length]
        })
    }
}
