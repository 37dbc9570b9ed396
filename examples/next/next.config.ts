import type { NextConfig } from 'next';

// pgwatch reads its files at run time, so it is not bundled.
const config: NextConfig = { serverExternalPackages: ['pgwatch'] };

export default config;
