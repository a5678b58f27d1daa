export { startRegistry, type TestRegistry, type TestRegistryOptions } from './registry.js';
