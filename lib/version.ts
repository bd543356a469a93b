/** The product's version: one number for edge and agent. */
export const VERSION = "0.1.0";
