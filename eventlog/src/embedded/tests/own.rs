//! What only this body promises.
