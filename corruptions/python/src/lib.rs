//! `rlnet_corruptions._native`: the crate `rlnet-corruptions` for NumPy arrays. `rlnet_corruptions/__init__.py` is
//! what people import.

use numpy::ndarray::Array3;
use numpy::{IntoPyArray, PyArray3, PyArrayDyn, PyArrayMethods, PyReadonlyArray3, PyReadonlyArrayDyn};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use rlnet_corruptions::{
    Corruption, Error, Family, Generator, Image, Options, ParameterSet, Severity, Stack, Textures, VERSION,
};
use std::path::PathBuf;

fn refused(error: Error) -> PyErr {
    match error {
        Error::Io { .. } => PyOSError::new_err(error.to_string()),
        error => PyValueError::new_err(error.to_string()),
    }
}

fn generator(
    stack: &str,
    parameters: Option<&str>,
    frost_textures: Option<PathBuf>,
) -> Result<Generator, Error> {
    Ok(Generator::new(Options {
        stack: stack.parse::<Stack>()?,
        textures: match frost_textures {
            Some(folder) => Textures::from_dir(&folder)?,
            None => Textures::default(),
        },
        parameters: parameters.map(str::parse::<ParameterSet>).transpose()?,
    }))
}

/// Corrupts images `[N, H, W, 3]` in parallel; other Python threads run meanwhile.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the one call that Python makes")]
fn corrupt<'py>(
    py: Python<'py>,
    images: PyReadonlyArrayDyn<'py, u8>,
    name: &str,
    severity: u8,
    seed: u64,
    indices: Option<Vec<u64>>,
    stack: &str,
    parameters: Option<&str>,
    frost_textures: Option<PathBuf>,
) -> PyResult<Bound<'py, PyArrayDyn<u8>>> {
    let shape = images.as_array().shape().to_vec();
    let [_, height, width, 3] = shape[..] else {
        return Err(PyValueError::new_err(format!(
            "images are [N, H, W, 3], not {shape:?}"
        )));
    };
    let out = PyArrayDyn::<u8>::zeros(py, shape, false);
    let corruption: Corruption = name.parse().map_err(refused)?;
    let severity = Severity::new(severity).map_err(refused)?;
    let pixels = images.as_slice()?;
    let mut target = out.readwrite();
    let made = target.as_slice_mut()?;
    py.detach(|| {
        let generator = generator(stack, parameters, frost_textures)?;
        let batch = generator.batch(corruption, severity).seed(seed);
        match &indices {
            Some(indices) => batch.indices(indices).run(pixels, (width, height), made),
            None => batch.run(pixels, (width, height), made),
        }
    })
    .map_err(refused)?;
    drop(target);
    Ok(out)
}

/// An image `[H, W, 3]` under corruptions (columns) at the five severities (rows).
#[pyfunction]
fn contact_sheet<'py>(
    py: Python<'py>,
    image: PyReadonlyArray3<'py, u8>,
    names: Vec<String>,
    seed: u64,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let [height, width, 3] = *image.as_array().shape() else {
        return Err(PyValueError::new_err(format!(
            "an image is [H, W, 3], not {:?}",
            image.as_array().shape()
        )));
    };
    let pixels = image.as_slice()?.to_vec();
    let sheet = py.detach(|| -> Result<Image, Error> {
        let corruptions = names
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Corruption>, _>>()?;
        let image = Image::from_raw(width, height, pixels)?;
        rlnet_corruptions::archive::contact_sheet(&Generator::default(), &image, &corruptions, seed)
    });
    let sheet = sheet.map_err(refused)?;
    let shape = (sheet.height(), sheet.width(), 3);
    let array = Array3::from_shape_vec(shape, sheet.into_raw());
    Ok(array
        .map_err(|error| PyValueError::new_err(error.to_string()))?
        .into_pyarray(py))
}

/// Names by family, in the order of the benchmarks.
#[pyfunction]
fn families() -> Vec<(&'static str, Vec<&'static str>)> {
    let names = |family: Family| {
        family
            .corruptions()
            .iter()
            .map(|corruption| corruption.name())
            .collect()
    };
    Family::ALL
        .into_iter()
        .map(|family| (family.name(), names(family)))
        .collect()
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("VERSION", VERSION)?;
    module.add_function(wrap_pyfunction!(corrupt, module)?)?;
    module.add_function(wrap_pyfunction!(contact_sheet, module)?)?;
    module.add_function(wrap_pyfunction!(families, module)?)
}
