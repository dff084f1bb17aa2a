//! Weather: something between the camera and the scene.

pub(crate) mod brightness;
pub(crate) mod fog;
pub(crate) mod frost;
pub(crate) mod snow;
pub(crate) mod spatter;
