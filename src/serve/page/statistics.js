// Means with 95 % intervals by Student's t distribution, as in the tables of strata.

// The quantile at 0.975 for 1 to 30 degrees of freedom.
const T = [12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139, 2.200985, 2.178813, 2.160369, 2.144787,
  2.13145, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899, 2.059539, 2.055529, 2.051831, 2.048407, 2.04523, 2.042272];
const NORMAL = 1.959964;

// Beyond 30 the expansion of Cornish and Fisher is exact to five digits.
const student = (freedom) => T[freedom - 1] ?? NORMAL + (NORMAL ** 3 + NORMAL) / (4 * freedom) + (5 * NORMAL ** 5 + 16 * NORMAL ** 3 + 3 * NORMAL) / (96 * freedom ** 2);

export const mean = (values) => {
  const n = values.length, middle = values.reduce((a, b) => a + b, 0) / n;
  if (n < 2) return { mean: middle, low: undefined, high: undefined, n };
  const half = student(n - 1) * Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (n - 1) / n);
  return { mean: middle, low: middle - half, high: middle + half, n };
};
