//! The scripts in `dev/` and `deploy/`, in copies of the clone and with stand-ins for Docker and other tools, and the context
//! of the image's build. They need neither Docker nor the services.

mod build_context;
mod clone;
mod package;
mod services;
