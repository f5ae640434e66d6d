import { armFaultPoints, faultPoint } from '../../packages/keystride/src/page/fault-points.ts';

armFaultPoints(process.argv[2] ?? '');
for (let pass = 1; pass <= 5; pass++) {
  faultPoint('beforeCommit');
  console.log(`passed ${pass}`);
}
